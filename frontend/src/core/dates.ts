/** Dates and times as a shop reads them: the host speaks ISO 8601 in UTC, people see their own clock. */

const TAGS: Record<string, string> = { fr: 'fr-FR', en: 'en-GB' };

function format(date: Date, locale: string, options: Intl.DateTimeFormatOptions): string {
  return Number.isNaN(date.getTime())
    ? '–'
    : new Intl.DateTimeFormat(TAGS[locale] ?? locale, options).format(date);
}

/** "2025-09-17" or a full time → "17 septembre 2025". A bare date has no time zone and is not shifted. */
export function formatDay(iso: string, locale: string): string {
  const bare = /^(\d{4})-(\d{2})-(\d{2})$/.exec(iso);
  const date = bare ? new Date(Number(bare[1]), Number(bare[2]) - 1, Number(bare[3])) : new Date(iso);
  return format(date, locale, { day: 'numeric', month: 'long', year: 'numeric' });
}

/** → "14:05". */
export function formatTime(iso: string, locale: string): string {
  return format(new Date(iso), locale, { hour: '2-digit', minute: '2-digit' });
}

/** → "17 sept. 2025, 14:05". */
export function formatDateTime(iso: string, locale: string): string {
  return format(new Date(iso), locale, {
    day: 'numeric',
    month: 'short',
    year: 'numeric',
    hour: '2-digit',
    minute: '2-digit',
  });
}
