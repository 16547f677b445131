/** French and English. Each module brings its own texts with its chunk: `const useT = defineMessages('caisse', { fr, en })`. */
import { createInstance } from 'i18next';
import { useCallback, useMemo, useSyncExternalStore } from 'react';
import { ApiError } from './api';
import { formatDateTime, formatDay, formatTime } from './dates';
import { en } from './messages/en';
import { fr } from './messages/fr';
import { formatCents, formatGrams, formatVariance } from './money';

export const LOCALES = ['fr', 'en'] as const;
export type Locale = (typeof LOCALES)[number];

interface Tree {
  [key: string]: string | Tree;
}
type Base<K extends string> = K extends `${infer B}_one` | `${infer B}_other` ? B : K;
type Keys<T> = {
  [K in keyof T & string]: T[K] extends string ? Base<K> : `${K}.${Keys<T[K]>}`;
}[keyof T & string];
type Values = Record<string, string | number>;

/** A translator: `t('close.title')`, `t('tickets', { count: 3 })`. An unknown key is a compile error. */
export type Translate<T> = (key: Keys<T>, values?: Values) => string;

const STORED = 'recyclic.locale';
const missing = new Set<string>();

function stored(): Locale {
  try {
    const locale = localStorage.getItem(STORED);
    return LOCALES.find((one) => one === locale) ?? 'fr';
  } catch {
    return 'fr';
  }
}

const i18n = createInstance();
i18n.init({
  lng: stored(),
  fallbackLng: 'fr',
  ns: ['core'],
  defaultNS: 'core',
  resources: { fr: { core: fr }, en: { core: en } },
  interpolation: { escapeValue: false },
  initAsync: false,
  showSupportNotice: false,
  saveMissing: true,
  missingKeyHandler: (locales, ns, key) => missing.add(`${locales[0]}:${ns}:${key}`),
} as Parameters<typeof i18n.init>[0]);
document.documentElement.lang = i18n.language;

/** Keys that were asked for and have no text, as `locale:namespace:key`. */
export function missingKeys(): string[] {
  return [...missing];
}

/** Switch the language of everything on the page; `remember` keeps it for the next visit. */
export function setLocale(locale: Locale, remember = true): void {
  if (remember) {
    try {
      localStorage.setItem(STORED, locale);
    } catch {
      // Storage is off: the choice holds for this visit.
    }
  }
  document.documentElement.lang = locale;
  void i18n.changeLanguage(locale);
}

function subscribe(listener: () => void): () => void {
  i18n.on('languageChanged', listener);
  return () => i18n.off('languageChanged', listener);
}

/** The language of the page; the component is drawn again when it changes. */
export function useLocale(): Locale {
  return useSyncExternalStore(subscribe, () => i18n.language as Locale);
}

/** Register a module's texts and return its hook. `en` must have exactly the keys of `fr`. */
export function defineMessages<T extends Tree>(
  namespace: string,
  texts: { fr: T; en: NoInfer<T> },
): () => Translate<T> {
  i18n.addResourceBundle('fr', namespace, texts.fr, true, true);
  i18n.addResourceBundle('en', namespace, texts.en, true, true);

  return function useMessages(): Translate<T> {
    const locale = useLocale();
    return useCallback((key, values) => i18n.t(key, { lng: locale, ns: namespace, ...values }), [locale]);
  };
}

/** The shell's own texts. */
export const useT = defineMessages('core', { fr, en });

/** What to tell a person about an error: the module's text for its code, the shell's, or a plain sentence. */
export function errorText(error: unknown, namespace?: string): string {
  if (!(error instanceof ApiError)) return i18n.t('errors.unexpected', { ns: 'core' });
  const keys = [`errors.${error.code}`];
  const values = { ...error.details, ns: [...(namespace ? [namespace] : []), 'core'] };
  if (i18n.exists(keys[0] as string, values)) return i18n.t(keys, values as Values & { ns: string[] });
  const family =
    error.status === 403
      ? 'not_allowed'
      : error.status === 404
        ? 'not_found'
        : error.status >= 500
          ? 'server'
          : 'refused';
  return i18n.t(`errors.${family}`, { ns: 'core', reference: error.requestId ?? '–' });
}

/** Money, weights and dates in the language of the page. */
export function useFormat() {
  const locale = useLocale();
  return useMemo(
    () => ({
      money: (cents: number) => formatCents(cents, locale),
      variance: (cents: number) => formatVariance(cents, locale),
      weight: (grams: number) => formatGrams(grams, locale),
      day: (iso: string) => formatDay(iso, locale),
      time: (iso: string) => formatTime(iso, locale),
      dateTime: (iso: string) => formatDateTime(iso, locale),
    }),
    [locale],
  );
}
