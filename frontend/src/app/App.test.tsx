import { render, screen } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { describe, expect, it, vi } from 'vitest';
import { Router } from 'wouter';
import { memoryLocation } from 'wouter/memory-location';
import { api } from '@/core/api';
import { ChunkError, ModuleRegistry } from '@/core/ModuleRegistry';
import { createQueryClient, Providers } from '@/core/Providers';
import { answer, refuse, unreachable } from '@/test/host';
import { UI } from '@/test/render';
import { App } from './App';

const NOBODY = { ...UI, user: null, modules: [], slots: {} };

function open(at = '/') {
  const location = memoryLocation({ path: at, record: true });
  render(
    <Providers client={createQueryClient()}>
      <Router hook={location.hook} searchHook={location.searchHook}>
        <App />
      </Router>
    </Providers>,
  );
  return { path: () => location.history.at(-1) };
}

async function signIn(): Promise<void> {
  await userEvent.type(await screen.findByLabelText('Identifiant'), 'alma');
  await userEvent.type(screen.getByLabelText('Mot de passe'), 'secret');
  await userEvent.click(screen.getByRole('button', { name: 'Se connecter' }));
}

describe('the app', () => {
  it('asks who is there, then goes where the person wanted to go', async () => {
    let ui: typeof UI | typeof NOBODY = NOBODY;
    answer('GET /api/ui', () => ui);
    const { path } = open('/settings');
    await screen.findByRole('heading', { name: 'Connexion' });
    expect(screen.queryByText(/session est terminée/)).toBeNull();
    const sent = answer('POST /api/auth/sign-in', () => {
      ui = UI;
      return { user: UI.user };
    });
    await signIn();
    expect(await screen.findByRole('heading', { name: 'Réglages' })).toBeVisible();
    expect(path()).toBe('/settings');
    expect(sent[0]?.body).toEqual({ name: 'alma', password: 'secret' });
  });

  it('says that the password is wrong', async () => {
    answer('GET /api/ui', NOBODY);
    refuse('POST /api/auth/sign-in', 401, 'bad_credentials');
    open('/sign-in');
    await signIn();
    expect(await screen.findByRole('alert')).toHaveTextContent('Identifiant ou mot de passe incorrect.');
  });

  it('does not lead anyone to another site after signing in', async () => {
    answer('GET /api/ui', UI);
    const { path } = open('/sign-in?next=//evil.example/');
    expect(await screen.findByRole('heading', { name: 'Bonjour Alma' })).toBeVisible();
    expect(path()).toBe('/');
  });

  it('says that the host does not answer, and tries again', async () => {
    unreachable('GET /api/ui');
    open();
    const retry = await screen.findByRole('button', { name: 'Réessayer' }, { timeout: 3000 });
    expect(screen.getByText('Recyclic ne répond pas')).toBeVisible();
    answer('GET /api/ui', UI);
    await userEvent.click(retry);
    expect(await screen.findByRole('heading', { name: 'Bonjour Alma' })).toBeVisible();
  });

  it('goes to sign-in when the session has ended, and says so', async () => {
    answer('GET /api/ui', UI);
    open('/settings');
    await screen.findByRole('heading', { name: 'Réglages' });
    refuse('GET /api/modules/caisse/registers', 401, 'not_signed_in');
    await api('/api/modules/caisse/registers').catch(() => {});
    expect(await screen.findByText(/session est terminée/)).toBeVisible();
  });

  it('offers only the modules that this person may use', async () => {
    answer('GET /api/ui', { ...UI, modules: UI.modules.filter(({ id }) => id === 'members') });
    open();
    await screen.findByRole('heading', { name: 'Bonjour Alma' });
    const items = screen.getAllByRole('link').map((link) => link.getAttribute('href'));
    expect(items).toContain('/modules/members');
    expect(items).not.toContain('/modules/caisse');
  });

  it.each(['/nowhere', '/modules/unknown'])('has a page for the wrong address %s', async (at) => {
    answer('GET /api/ui', UI);
    open(at);
    expect(await screen.findByRole('heading', { name: 'Page introuvable' })).toBeVisible();
  });

  it('offers to load a module again whose chunk did not arrive', async () => {
    vi.spyOn(console, 'error').mockImplementation(() => {});
    answer('GET /api/ui', UI);
    const pages = vi.spyOn(ModuleRegistry, 'pages').mockImplementation(() => () => {
      throw new ChunkError('lost');
    });
    open('/modules/members');
    const retry = await screen.findByRole('button', { name: 'Réessayer' });
    expect(screen.getByRole('heading', { name: 'Cette page n’a pas pu être chargée' })).toBeVisible();
    expect(screen.getByRole('navigation')).toBeVisible();
    pages.mockImplementation(() => () => <h1>Here it is</h1>);
    await userEvent.click(retry);
    expect(await screen.findByRole('heading', { name: 'Here it is' })).toBeVisible();
  });
});
