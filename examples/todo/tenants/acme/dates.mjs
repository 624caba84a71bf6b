const DAYS = ['sunday', 'monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday'];
const DAY_MS = 86_400_000;

/** The date a title speaks of (`today`, `tomorrow`, `friday`, `2026-01-31`) as YYYY-MM-DD, or null. */
export function findDate(title, from) {
  const text = title.toLowerCase();
  const iso = /\b\d{4}-\d{2}-\d{2}\b/.exec(text);
  if (iso) return iso[0];
  const in_days = daysAhead(text, from.getUTCDay());
  return in_days === null ? null : new Date(from.getTime() + in_days * DAY_MS).toISOString().slice(0, 10);
}

function daysAhead(text, weekday) {
  if (/\btoday\b/.test(text)) return 0;
  if (/\btomorrow\b/.test(text)) return 1;
  const named = DAYS.findIndex((day) => new RegExp(`\\b${day}\\b`).test(text));
  return named < 0 ? null : (named - weekday + 7) % 7 || 7;
}
