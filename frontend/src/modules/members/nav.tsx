import type { NavEntry } from '@/core/ModuleRegistry';

const entries: NavEntry[] = [
  {
    to: '/modules/members',
    label: { fr: 'Adhérents', en: 'Members' },
    hint: { fr: 'Chercher, inscrire', en: 'Find, enrol' },
    icon: (
      <>
        <circle cx="9" cy="8" r="3.500" />
        <path d="M2.500 20c0-4 3-6 6.500-6s6.500 2 6.500 6M15.500 4.800a3.500 3.500 0 0 1 0 6.400M18 14.500c2.200.8 3.500 2.700 3.500 5.500" />
      </>
    ),
  },
];
export default entries;
