import type { NavEntry } from '@/core/ModuleRegistry';

const entries: NavEntry[] = [
  {
    to: '/modules/caisse',
    label: { fr: 'Caisse', en: 'Till' },
    hint: { fr: 'Ouvrir, vendre, fermer', en: 'Open, sell, close' },
    icon: <path d="M5 10h14v10H5zM8 10V4h8v6M9 14h.01M12 14h.01M15 14h.01M9 17h6" />,
  },
  {
    to: '/modules/caisse/ventes',
    label: { fr: 'Ventes', en: 'Sales' },
    hint: { fr: 'Retrouver un ticket, rembourser', en: 'Find a ticket, refund' },
    icon: <path d="M6 3h12v18l-3-2-3 2-3-2-3 2zM9.500 8h5M9.500 12h5" />,
  },
  {
    to: '/modules/caisse/import',
    label: { fr: 'Cahier', en: 'Notebook' },
    hint: { fr: 'Reprendre un cahier papier', en: 'Bring in a paper notebook' },
    icon: <path d="M7 3h11v18H7zM7 7H4.500M7 12H4.500M7 17H4.500M11 8h4M11 12h4" />,
  },
];
export default entries;
