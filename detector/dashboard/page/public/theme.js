// Before the first paint, so that nobody who wants dark sees light flash by: data-theme is what holds, data-chosen what
// the viewer chose, if he did.
const here = document.documentElement.dataset;
try {
  const chosen = localStorage.getItem("querywarden.theme");
  if (chosen === "light" || chosen === "dark") here.chosen = chosen;
} catch {
  // Storage is off: the system's choice stays.
}
here.theme = here.chosen ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
