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

/**
 * A table; on a narrow screen each row becomes a card with its column names. The roles are said once more because a
 * browser forgets them where the style is no longer that of a table.
 */
export function Table<T>({ caption, columns, rows, rowKey }: TableProps<T>) {
  return (
    <table role="table" className={css.table}>
      <caption className="visually-hidden">{caption}</caption>
      <thead role="rowgroup">
        <tr role="row">
          {columns.map(({ head, number }, index) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: columns neither move nor change
            <th role="columnheader" key={index} scope="col" className={number ? css.number : undefined}>
              {head}
            </th>
          ))}
        </tr>
      </thead>
      <tbody role="rowgroup">
        {rows.map((row) => (
          <tr role="row" key={rowKey(row)}>
            {columns.map(({ head, cell, number }, index) => (
              // biome-ignore lint/suspicious/noArrayIndexKey: columns neither move nor change
              <td role="cell" key={index} className={number ? css.number : undefined}>
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
