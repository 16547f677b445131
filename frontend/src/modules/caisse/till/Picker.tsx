/** Finds what is sold: by touching a category and then its kind, or by typing. */
import { useEffect, useRef, useState } from 'react';
import { useFormat } from '@/core/i18n';
import { plain } from '@/core/search';
import { Button } from '@/core/ui/Button';
import { TextField } from '@/core/ui/Field';
import type { Category } from '../api';
import { useT } from '../messages';
import type { Line } from './basket';
import { Entry } from './Entry';
import css from './Picker.module.css';
import { STICKERS } from './stickers';

interface PickerProps {
  categories: Category[];
  onAdd: (line: Omit<Line, 'key'>) => void;
}

type Place = { at: 'roots' } | { at: 'root'; root: Category } | { at: 'entry'; category: Category | null };

export function Picker({ categories, onAdd }: PickerProps) {
  const t = useT();
  const [place, go] = useState<Place>({ at: 'roots' });
  const [search, setSearch] = useState('');
  const top = useRef<HTMLDivElement>(null);
  const moved = useRef(false);
  const tree = treeOf(categories);
  useEffect(() => {
    // The key that was pressed is gone: the focus goes where the next step begins, and opens no keyboard on a tablet.
    if (!moved.current || place.at === 'entry') return;
    const typing = place.at === 'roots' && window.matchMedia?.('(pointer: fine)').matches;
    top.current?.querySelector<HTMLElement>(typing ? 'input' : 'h2')?.focus();
  }, [place]);
  function setPlace(next: Place): void {
    moved.current = true;
    go(next);
  }
  function home(): void {
    setPlace({ at: 'roots' });
    setSearch('');
  }
  if (place.at === 'entry') {
    return (
      <Entry
        category={place.category}
        onAdd={(line) => {
          onAdd(line);
          home();
        }}
        onBack={home}
      />
    );
  }
  const choose = (category: Category | null): void =>
    setPlace(
      category && tree.children(category).length > 0
        ? { at: 'root', root: category }
        : { at: 'entry', category },
    );
  return (
    <div ref={top} className={css.picker}>
      {place.at === 'roots' && (
        <h2 tabIndex={-1} className="visually-hidden">
          {t('sell.categories')}
        </h2>
      )}
      <TextField
        label={t('sell.find')}
        type="search"
        value={search}
        autoComplete="off"
        onChange={(event) => setSearch(event.target.value)}
      />
      {search.trim() ? (
        <Found search={search} tree={tree} categories={categories} onChoose={choose} />
      ) : place.at === 'root' ? (
        <Kinds
          root={place.root}
          tree={tree}
          onChoose={(category) => setPlace({ at: 'entry', category })}
          onBack={home}
        />
      ) : (
        <>
          {categories.length === 0 && <p className="soft">{t('sell.noCategories')}</p>}
          <Tiles label={t('sell.categories')}>
            {tree.roots.map((root) => (
              <Tile
                key={root.id}
                category={root}
                sticker={tree.sticker(root)}
                onChoose={() => choose(root)}
              />
            ))}
            <li>
              <button type="button" className={`${css.tile} ${css.loose}`} onClick={() => choose(null)}>
                <span className={css.name}>{t('sell.loose')}</span>
              </button>
            </li>
          </Tiles>
        </>
      )}
    </div>
  );
}

interface Tree {
  roots: Category[];
  children: (category: Category) => Category[];
  root: (category: Category) => Category;
  sticker: (category: Category) => string;
}

function treeOf(categories: Category[]): Tree {
  const sorted = [...categories].sort(
    (a, b) => a.position - b.position || a.name.localeCompare(b.name, 'fr'),
  );
  const byId = new Map(sorted.map((category) => [category.id, category]));
  const roots = sorted.filter(({ parent_id }) => !parent_id || !byId.has(parent_id));
  const root = (category: Category, steps = 20): Category => {
    const parent = category.parent_id ? byId.get(category.parent_id) : undefined;
    return parent && steps > 0 ? root(parent, steps - 1) : category;
  };
  return {
    roots,
    root,
    children: (category) => sorted.filter(({ parent_id }) => parent_id === category.id),
    sticker: (category) => STICKERS[roots.indexOf(root(category)) % STICKERS.length] ?? 'var(--line-strong)',
  };
}

function Tiles({ label, children }: { label: string; children: React.ReactNode }) {
  return (
    <ul className={css.tiles} aria-label={label}>
      {children}
    </ul>
  );
}

/** "Électronique/Audio" may go on in the next line after its slash. */
function breakable(name: string): string {
  return name.replaceAll('/', '/\u200b');
}

interface TileProps {
  category: Category;
  sticker: string;
  under?: string | undefined;
  onChoose: () => void;
}

function Tile({ category, sticker, under, onChoose }: TileProps) {
  const t = useT();
  const format = useFormat();
  const min = category.min_price_cents;
  const note = under ?? (min === null ? undefined : t('sell.from', { price: format.money(min) }));
  return (
    <li>
      <button
        type="button"
        className={css.tile}
        style={{ '--sticker': sticker } as React.CSSProperties}
        onClick={onChoose}
      >
        <span className={css.name}>{breakable(category.name)}</span>
        {note && <span className={css.note}>{note}</span>}
      </button>
    </li>
  );
}

interface KindsProps {
  root: Category;
  tree: Tree;
  onChoose: (category: Category) => void;
  onBack: () => void;
}

function Kinds({ root, tree, onChoose, onBack }: KindsProps) {
  const t = useT();
  return (
    <>
      <div className="row spread">
        <h2 tabIndex={-1} className={css.heading}>
          {root.name}
        </h2>
        <Button look="quiet" onClick={onBack}>
          ← {t('sell.all')}
        </Button>
      </div>
      <Tiles label={root.name}>
        {tree.children(root).map((kind) => (
          <Tile key={kind.id} category={kind} sticker={tree.sticker(root)} onChoose={() => onChoose(kind)} />
        ))}
        <li>
          <button type="button" className={`${css.tile} ${css.loose}`} onClick={() => onChoose(root)}>
            <span className={css.name}>{t('sell.other', { name: root.name })}</span>
          </button>
        </li>
      </Tiles>
    </>
  );
}

interface FoundProps {
  search: string;
  tree: Tree;
  categories: Category[];
  onChoose: (category: Category) => void;
}

function Found({ search, tree, categories, onChoose }: FoundProps) {
  const t = useT();
  const words = plain(search).split(/\s+/).filter(Boolean);
  const found = categories.filter((category) => {
    const text = plain(`${category.name} ${tree.root(category).name}`);
    return words.every((word) => text.includes(word));
  });
  if (found.length === 0) return <p className="soft">{t('sell.nothingFound', { search })}</p>;
  return (
    <Tiles label={t('sell.categories')}>
      {found.slice(0, 24).map((category) => (
        <Tile
          key={category.id}
          category={category}
          sticker={tree.sticker(category)}
          under={category.parent_id ? tree.root(category).name : undefined}
          onChoose={() => onChoose(category)}
        />
      ))}
    </Tiles>
  );
}
