import { defineMessages } from '@/core/i18n';
import { en } from './en';
import { fr } from './fr';

export const NAMESPACE = 'paheko';
export const useT = defineMessages(NAMESPACE, { fr, en });
