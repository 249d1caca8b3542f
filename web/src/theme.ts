// Light, dark, or as the system has it.

const KEY = "iiot-gateway-theme";
const dark = matchMedia("(prefers-color-scheme: dark)");

export type Theme = "light" | "dark";

export function current(): Theme {
  const chosen = localStorage.getItem(KEY);
  return chosen === "light" || chosen === "dark" ? chosen : dark.matches ? "dark" : "light";
}

export function apply(theme: Theme): void {
  document.documentElement.dataset["theme"] = theme;
}

export function choose(theme: Theme): void {
  localStorage.setItem(KEY, theme);
  apply(theme);
}

export function onSystemChange(listener: () => void): void {
  dark.addEventListener("change", listener);
}
