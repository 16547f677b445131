/** The sign of Recyclic: a price sticker that goes round. */
export function Mark() {
  return (
    <svg viewBox="0 0 64 64" width="36" height="36" aria-hidden="true">
      <circle cx="32" cy="32" r="30" fill="var(--blue)" />
      <path
        d="M44.500 24.500A14.500 14.500 0 1 0 46.500 32"
        fill="none"
        stroke="var(--marigold)"
        strokeWidth="7"
        strokeLinecap="round"
      />
      <circle cx="46" cy="22" r="6" fill="var(--on-blue)" />
    </svg>
  );
}
