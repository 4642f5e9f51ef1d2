/** Dark or light: the system's choice until the reader makes one, which this browser then remembers. */

const KEY = "theme";

/** Runs in the document's head; the rest of the page only reads the class it sets. */
export const THEME_SCRIPT = `try{const t=localStorage.getItem("${KEY}");document.documentElement.classList.toggle("dark",t?t==="dark":matchMedia("(prefers-color-scheme: dark)").matches)}catch{}`;

export function toggleTheme(): void {
  const dark = document.documentElement.classList.toggle("dark");
  try {
    localStorage.setItem(KEY, dark ? "dark" : "light");
  } catch {
    // Storage is forbidden: the choice lasts until the page is left.
  }
}
