/** Light or dark: the system's choice, unless the viewer made one. */
export type Theme = "system" | "light" | "dark";
const KEY = "querywarden.theme";

export function chosen(): Theme {
  const set = document.documentElement.dataset["theme"];
  return set === "light" || set === "dark" ? set : "system";
}

export function choose(theme: Theme): void {
  if (theme === "system") delete document.documentElement.dataset["theme"];
  else document.documentElement.dataset["theme"] = theme;
  try {
    if (theme === "system") localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, theme);
  } catch {
    // Storage is off: it holds until the page is left.
  }
  window.dispatchEvent(new Event("querywarden-theme"));
}

/** Charts draw in the colours of the style sheet: told when those change. */
export function whenRecoloured(told: () => void): () => void {
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  dark.addEventListener("change", told);
  window.addEventListener("querywarden-theme", told);
  return () => {
    dark.removeEventListener("change", told);
    window.removeEventListener("querywarden-theme", told);
  };
}

export function colour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}
