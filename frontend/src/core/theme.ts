/** Light, dark, or as the device says; kept in the browser. */
import { useSyncExternalStore } from 'react';

export const THEMES = ['system', 'light', 'dark'] as const;
export type Theme = (typeof THEMES)[number];

const STORED = 'recyclic.theme';
const listeners = new Set<() => void>();

function read(): Theme {
  try {
    const theme = localStorage.getItem(STORED);
    return THEMES.find((one) => one === theme) ?? 'system';
  } catch {
    return 'system';
  }
}

let current = read();

/** Put the theme onto the page. */
export function applyTheme(): void {
  if (current === 'system') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = current;
}

export function setTheme(theme: Theme): void {
  current = theme;
  try {
    localStorage.setItem(STORED, theme);
  } catch {
    // Storage is off: the choice holds for this visit.
  }
  applyTheme();
  for (const listener of listeners) listener();
}

export function useTheme(): Theme {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => current,
  );
}
