/** Who is signed in, and what the host offers this person: modules, routes, slot extensions. */
import { type QueryClient, queryOptions, useQuery, useQueryClient } from '@tanstack/react-query';
import { createContext, type ReactNode, use, useEffect } from 'react';
import { api, onSignedOut } from './api';

const LEVELS = ['none', 'read', 'write', 'admin'] as const;
export type Level = (typeof LEVELS)[number];

export interface User {
  name: string;
  permissions: Record<string, Level>;
}

export interface UiModule {
  id: string;
  name: string;
  description: string;
  version: string;
  routes: string[];
}

export interface UiExtension {
  module: string;
  component: string;
}

export interface UiManifest {
  host_version: string;
  test_mode: boolean;
  user: User | null;
  modules: UiModule[];
  slots: Record<string, UiExtension[]>;
}

export const uiQuery = queryOptions({
  queryKey: ['ui'],
  queryFn: ({ signal }) => api<UiManifest>('/api/ui', { signal }),
  staleTime: Number.POSITIVE_INFINITY,
});

let ended = false;

/** Did the host end the session of the person who worked here? */
export function sessionEnded(): boolean {
  return ended;
}

const UiContext = createContext<UiManifest | null>(null);

/** Hands the host's UI manifest to everything below. */
export function UiProvider({ ui, children }: { ui: UiManifest; children: ReactNode }) {
  const client = useQueryClient();
  useEffect(
    () =>
      onSignedOut(() => {
        ended = true;
        forgetUser(client);
      }),
    [client],
  );
  return <UiContext value={ui}>{children}</UiContext>;
}

/** The UI manifest of this user. */
export function useUi(): UiManifest {
  const ui = use(UiContext);
  if (!ui) throw new Error('useUi needs a UiProvider above it');
  return ui;
}

/** May this person do more than look in a section? The host refuses anyway; the page does not offer what would fail. */
export function useMay(section: string, level: Level = 'write'): boolean {
  const held = useUi().user?.permissions[section] ?? 'none';
  return LEVELS.indexOf(held) >= LEVELS.indexOf(level);
}

/** The UI manifest while it is being fetched: loading, failed or there. */
export function useUiQuery() {
  return useQuery(uiQuery);
}

export async function signIn(client: QueryClient, name: string, password: string): Promise<void> {
  await api('/api/auth/sign-in', { json: { name, password } });
  ended = false;
  await client.fetchQuery({ ...uiQuery, staleTime: 0 });
}

export async function signOut(client: QueryClient): Promise<void> {
  await api('/api/auth/sign-out', { method: 'POST' });
  forgetUser(client);
}

/** Drop what was fetched for the last user; what they had typed stays in the browser. */
function forgetUser(client: QueryClient): void {
  client.setQueryData(uiQuery.queryKey, (ui) => ui && { ...ui, user: null, modules: [], slots: {} });
  client.removeQueries({ predicate: ({ queryKey }) => queryKey[0] !== 'ui' });
}
