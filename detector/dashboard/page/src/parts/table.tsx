/** A table that scrolls sideways by itself where the page is narrow, and may be sorted. */
import type { ComponentChildren } from "preact";

export interface Column<T> {
  head: string;
  cell: (row: T) => ComponentChildren;
  num?: boolean;
  /** The name under which the list can be sorted by it. */
  sort?: string;
  /** Left out where the page is narrow. */
  wide?: boolean;
}

interface Given<T> {
  name: string;
  columns: readonly Column<T>[];
  rows: readonly T[];
  id: (row: T, at: number) => string | number;
  sorted?: string;
  onSort?: (sort: string) => void;
}

export function Table<T>({ name, columns, rows, id, sorted, onSort }: Given<T>) {
  return (
    <div class="scroll" role="region" aria-label={name} tabIndex={0}>
      <table>
        <caption class="unseen">{name}</caption>
        <thead>
          <tr>
            {columns.map((column) => {
              const by = column.sort !== undefined && column.sort === sorted;
              return (
                <th key={column.head} scope="col" class={looks(column)} {...(by ? { "aria-sort": "descending" as const } : {})}>
                  {column.sort && onSort ? (
                    <button type="button" class="sorter" onClick={() => onSort(column.sort as string)}>
                      {column.head}
                      <span aria-hidden="true">{by ? " ↓" : ""}</span>
                    </button>
                  ) : (
                    column.head
                  )}
                </th>
              );
            })}
          </tr>
        </thead>
        <tbody>
          {rows.map((row, at) => (
            <tr key={id(row, at)}>
              {columns.map((column) => (
                <td key={column.head} class={looks(column)}>
                  {column.cell(row)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function looks<T>(column: Column<T>): string {
  return `${column.num ? "num" : ""}${column.wide ? " only-wide" : ""}`;
}

/** The numbers behind a chart. */
export function Behind({ of, children }: { of: string; children: ComponentChildren }) {
  return (
    <details class="behind">
      <summary>{of}</summary>
      {children}
    </details>
  );
}
