// Whether a device is there, in a word and a colour.

const WORDS: Record<string, [string, string]> = {
  online: ["online", "good"],
  offline: ["offline", "bad"],
  never_seen: ["never heard", "idle"],
  inactive: ["disabled", "held"],
  maintenance: ["maintenance", "held"],
};

export function Presence({ presence }: { presence: string }) {
  const [word, colour] = WORDS[presence] ?? [presence, "idle"];
  return <span class={`presence ${colour}`}>{word}</span>;
}
