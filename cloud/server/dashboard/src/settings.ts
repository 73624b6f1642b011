// What a person chooses for this browser: language, units, appearance.
const key = 'cattle-settings';
export type Settings = { language: 'en' | 'es'; units: 'metric' | 'imperial'; look: 'auto' | 'light' | 'dark' };

function read(): Settings {
  const language = navigator.languages?.some((l) => l.startsWith('es')) && !navigator.language.startsWith('en') ? 'es' : 'en';
  const own: Settings = { language, units: navigator.language === 'en-US' ? 'imperial' : 'metric', look: 'auto' };
  try { return { ...own, ...JSON.parse(localStorage.getItem(key) || '{}') }; } catch { return own; }
}

export const settings = read();

/** apply makes the choices visible: the language and the colors of the whole page. */
export function apply(): void {
  document.documentElement.lang = settings.language;
  if (settings.look === 'auto') delete document.documentElement.dataset.look; else document.documentElement.dataset.look = settings.look;
}

/** choose stores a choice. */
export function choose(change: Partial<Settings>): void {
  Object.assign(settings, change);
  try { localStorage.setItem(key, JSON.stringify(settings)); } catch { /* the choice holds until the page is closed */ }
  apply();
}
