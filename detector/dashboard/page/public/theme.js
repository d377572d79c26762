// Before the first paint, so that nobody who chose dark sees light flash by.
try {
  const chosen = localStorage.getItem("querywarden.theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
} catch {
  // Storage is off: the system's choice stays.
}
