/** Light or dark: the system's choice, unless the viewer made one. */
export type Theme = "system" | "light" | "dark";
const KEY = "querywarden.theme";

const here = document.documentElement.dataset;
const dark = window.matchMedia("(prefers-color-scheme: dark)");

/** public/theme.js did the same before the first paint. */
function hold(): void {
  here["theme"] = here["chosen"] ?? (dark.matches ? "dark" : "light");
  window.dispatchEvent(new Event("querywarden-theme"));
}
dark.addEventListener("change", hold);

export function chosen(): Theme {
  const set = here["chosen"];
  return set === "light" || set === "dark" ? set : "system";
}

export function choose(theme: Theme): void {
  if (theme === "system") delete here["chosen"];
  else here["chosen"] = theme;
  try {
    if (theme === "system") localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, theme);
  } catch {
    // Storage is off: it holds until the page is left.
  }
  hold();
}

/** Charts draw in the colours of the style sheet: told when those change. */
export function whenRecoloured(told: () => void): () => void {
  window.addEventListener("querywarden-theme", told);
  return () => window.removeEventListener("querywarden-theme", told);
}

export function colour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}
