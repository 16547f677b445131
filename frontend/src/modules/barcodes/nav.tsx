import type { NavEntry } from '@/core/ModuleRegistry';

const entries: NavEntry[] = [
  {
    to: '/modules/barcodes',
    label: { fr: 'Étiquettes', en: 'Labels' },
    hint: { fr: 'Créer et imprimer des codes-barres', en: 'Make and print barcodes' },
    icon: <path d="M4 5v14M7.500 5v14M10 5v14M13.500 5v14M16 5v14M20 5v14" />,
  },
];
export default entries;
