// What the gateway says when it refuses, where it happens.

import { Refused } from "../api";

export function Fault({ error }: { error: unknown }) {
  if (!error) return null;
  const { message, remedy } = error instanceof Refused ? error.problem : { message: String(error instanceof Error ? error.message : error), remedy: "" };
  return (
    <p class="fault" role="alert">
      {sentence(message)} {remedy ? sentence(remedy) : ""}
    </p>
  );
}

function sentence(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".");
}
