import type { ReactNode } from 'react';
import css from './Table.module.css';

export interface Column<T> {
  head: ReactNode;
  cell: (row: T) => ReactNode;
  /** Numbers stand at the right. */
  number?: boolean;
}

interface TableProps<T> {
  caption: string;
  columns: readonly Column<T>[];
  rows: readonly T[];
  rowKey: (row: T) => string;
}

/** A table; on a narrow screen each row becomes a card with its column names. */
export function Table<T>({ caption, columns, rows, rowKey }: TableProps<T>) {
  return (
    <table className={css.table}>
      <caption className="visually-hidden">{caption}</caption>
      <thead>
        <tr>
          {columns.map(({ head, number }, index) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: columns neither move nor change
            <th key={index} scope="col" className={number ? css.number : undefined}>
              {head}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {rows.map((row) => (
          <tr key={rowKey(row)}>
            {columns.map(({ head, cell, number }, index) => (
              // biome-ignore lint/suspicious/noArrayIndexKey: columns neither move nor change
              <td key={index} className={number ? css.number : undefined}>
                <span className={css.label} aria-hidden="true">
                  {head}
                </span>
                <span className={css.value}>{cell(row)}</span>
              </td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}
