import { screen, waitFor } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { draw } from '@/test/render';
import { ChunkError, Chunks, ModuleRegistry } from './ModuleRegistry';
import { ModuleSlot } from './ModuleSlot';

type Fill = (props: Record<string, unknown>) => React.ReactNode;

function slotOf(fills: Record<string, Fill | Promise<never>>): Chunks {
  return new Chunks(
    Object.fromEntries(
      Object.entries(fills).map(([key, fill]) => [
        key,
        async () => ({ default: (fill instanceof Promise ? await fill : fill) as Fill }),
      ]),
    ),
  );
}

/** Draw the slot `sale_details` filled by these, in place of what the build holds. */
function drawSlot(fills: Record<string, Fill | Promise<never>> | Chunks, named = Object.keys(fills)) {
  const chunks = fills instanceof Chunks ? fills : slotOf(fills);
  vi.spyOn(ModuleRegistry, 'component').mockImplementation((module, name) =>
    chunks.component(`${module}/${name}`),
  );
  vi.spyOn(ModuleRegistry, 'retryComponent').mockImplementation((module, name) =>
    chunks.forget(`${module}/${name}`),
  );
  const extensions = named.map((id) => {
    const [module = '', component = ''] = id.split('/');
    return { module, component };
  });
  return draw(<ModuleSlot name="sale_details" context={{ sale_id: 's1' }} />, {
    ui: { slots: { sale_details: extensions } },
  });
}

const stateOf = (id: string): string | undefined =>
  document.querySelector<HTMLElement>(`[data-slot-ext="${id}"]`)?.dataset.slotState;

describe('ModuleSlot', () => {
  beforeEach(() => {
    vi.spyOn(console, 'error').mockImplementation(() => {}); // React tells of every error that a boundary catches
  });

  it('draws nothing when nobody fills it', () => {
    expect(drawSlot({}).container).toBeEmptyDOMElement();
  });

  it('hands the context to every extension, in the order of the host', async () => {
    drawSlot({ 'a/One': ({ sale_id }) => <p>one {String(sale_id)}</p>, 'b/Two': () => <p>two</p> });
    expect(await screen.findByText('one s1')).toBeVisible();
    await screen.findByText('two');
    expect(
      [...document.querySelectorAll('[data-slot-ext]')].map((one) => one.getAttribute('data-slot-ext')),
    ).toEqual(['a/One', 'b/Two']);
    expect([stateOf('a/One'), stateOf('b/Two')]).toEqual(['ready', 'ready']);
  });

  it('contains one that crashes, names its module, and lets the others go on', async () => {
    drawSlot({
      'paheko/Broken': () => {
        throw new Error('boom');
      },
      'b/Two': () => <p>two</p>,
    });
    expect(await screen.findByRole('alert')).toHaveTextContent('Paheko Sync');
    expect(await screen.findByText('two')).toBeVisible();
    expect([stateOf('paheko/Broken'), stateOf('b/Two')]).toEqual(['error', 'ready']);
  });

  it('draws a crashed one again on demand', async () => {
    let broken = true;
    drawSlot({
      'a/Moody': () => {
        if (broken) throw new Error('boom');
        return <p>well again</p>;
      },
    });
    const retry = await screen.findByRole('button', { name: 'Réessayer' });
    broken = false;
    await userEvent.click(retry);
    expect(await screen.findByText('well again')).toBeVisible();
    expect(stateOf('a/Moody')).toBe('ready');
  });

  it('says that a chunk did not arrive, and loads it on demand', async () => {
    let calls = 0;
    const chunks = new Chunks({
      'a/Lost': async () => {
        calls += 1;
        if (calls === 1) throw new TypeError('Failed to fetch');
        return { default: () => <p>found</p> };
      },
    });
    drawSlot(chunks, ['a/Lost']);
    expect(await screen.findByRole('alert')).toHaveTextContent('n’a pas pu être chargé');
    expect(stateOf('a/Lost')).toBe('error');
    await userEvent.click(screen.getByRole('button', { name: 'Réessayer' }));
    expect(await screen.findByText('found')).toBeVisible();
    expect(stateOf('a/Lost')).toBe('ready');
  });

  it('says which component this build does not know', async () => {
    drawSlot({}, ['stranger/Panel']);
    expect(await screen.findByRole('alert')).toHaveTextContent('« stranger » annonce « Panel »');
    await waitFor(() => expect(stateOf('stranger/Panel')).toBe('error'));
  });

  it('shows that it is loading', () => {
    drawSlot({ 'a/Slow': new Promise<never>(() => {}) });
    expect(stateOf('a/Slow')).toBe('loading');
    expect(screen.getByRole('status')).toHaveTextContent('Chargement');
  });
});

describe('Chunks', () => {
  it('asks again for a chunk that failed, once it is forgotten', async () => {
    let calls = 0;
    const chunks = new Chunks({
      page: async () => {
        calls += 1;
        if (calls === 1) throw new TypeError('Failed to fetch');
        return { default: () => null };
      },
    });
    await expect(chunks.load('page')).rejects.toBeInstanceOf(ChunkError);
    chunks.forget('page');
    await expect(chunks.load('page')).resolves.toBeTypeOf('function');
  });

  it('gives up on a chunk that hangs', async () => {
    vi.useFakeTimers();
    try {
      const loading = new Chunks({ page: () => new Promise(() => {}) }).load('page');
      const failed = expect(loading).rejects.toThrow('did not arrive');
      await vi.advanceTimersByTimeAsync(20_000);
      await failed;
    } finally {
      vi.useRealTimers();
    }
  });

  it('refuses a chunk without a default export', async () => {
    const chunks = new Chunks({ page: async () => ({}) as { default: never } });
    await expect(chunks.load('page')).rejects.toThrow('no default export');
  });
});
