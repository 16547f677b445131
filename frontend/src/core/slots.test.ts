import { describe, expectTypeOf, it } from 'vitest';
import type { Fits } from './slots.gen';

describe('Fits', () => {
  it('takes a component that asks for less than it gets', () => {
    type Fine = Fits<'sale_details', () => null>;
    expectTypeOf<Fine>().not.toBeNever();
  });

  it('refuses a component that asks for a prop which the slot does not hand over', () => {
    // @ts-expect-error sale_details hands over no `ticket`
    expectTypeOf<Fits<'sale_details', (props: { ticket: string }) => null>>().not.toBeAny();
  });

  it('refuses a component that takes a prop for another type', () => {
    // @ts-expect-error sale_id is a string
    expectTypeOf<Fits<'sale_details', (props: { sale_id: number }) => null>>().not.toBeAny();
  });
});
