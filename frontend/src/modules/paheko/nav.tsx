import type { NavEntry } from '@/core/ModuleRegistry';

const entries: NavEntry[] = [
  {
    to: '/modules/paheko',
    label: { fr: 'Comptabilité', en: 'Accounting' },
    hint: { fr: 'Ce qui est écrit dans Paheko', en: 'What is written in Paheko' },
    icon: (
      <path d="M4 4h6.500c1 0 1.500.500 1.500 1.500V20c0-1-.500-1.500-1.500-1.500H4zM20 4h-6.500c-1 0-1.500.500-1.500 1.500V20c0-1 .500-1.500 1.500-1.500H20z" />
    ),
  },
];
export default entries;
