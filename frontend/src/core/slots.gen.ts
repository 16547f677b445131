/**
 * Types of the slots, derived from the manifests of the monorepo's modules (`recyclic/modules/<id>/module.toml`):
 * `SlotProps` from `[ui.provides.<slot>] props`, one line of `Contributions` per slot component of a module that lists
 * the slot under `[ui] slots`. The shell offers `settings_menu`. Do not edit by hand: change the manifest.
 */
import type { ComponentType } from 'react';

export interface SlotProps {
  // recyclic/modules/caisse/module.toml [ui.provides.sale_details]
  sale_details: { sale_id: string };
  // recyclic/modules/caisse/module.toml [ui.provides.sale_item_entry]
  sale_item_entry: { session_id: string };
  // the shell
  settings_menu: Record<never, never>;
}

export type SlotName = keyof SlotProps;

/** A component that asks for props which its slot does not hand over is a compile error on its line below. */
export type Fits<S extends SlotName, C extends ComponentType<SlotProps[S]>> = [S, C];

export type Contributions = [
  // recyclic/modules/barcodes/module.toml fills sale_item_entry
  Fits<'sale_item_entry', typeof import('../modules/barcodes/slots/ScanEntry').default>,
  // recyclic/modules/paheko/module.toml fills sale_details
  Fits<'sale_details', typeof import('../modules/paheko/slots/SaleDetailsPanel').default>,
];
