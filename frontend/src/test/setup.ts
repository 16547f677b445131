import '@testing-library/jest-dom/vitest';
import { cleanup } from '@testing-library/react';
import { afterAll, afterEach, beforeAll, beforeEach } from 'vitest';
import { setLocale } from '@/core/i18n';
import { host } from './host';

beforeAll(() => host.listen({ onUnhandledRequest: 'error' }));
beforeEach(() => {
  localStorage.clear();
  setLocale('fr', false);
});
afterEach(() => {
  cleanup();
  host.resetHandlers();
});
afterAll(() => host.close());
