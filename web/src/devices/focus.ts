// Puts the focus back where a person came from, once that is drawn again: whoever uses the keyboard would begin at the top of the page.

export function focusLater(id: string): void {
  requestAnimationFrame(() => document.getElementById(id)?.focus());
}
