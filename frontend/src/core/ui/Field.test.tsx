import { screen } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { useState } from 'react';
import { describe, expect, it } from 'vitest';
import { draw } from '@/test/render';
import { Stepper } from './Field';

function Pieces() {
  const [value, setValue] = useState(1);
  return (
    <>
      <Stepper label="Quantité" value={value} onChange={setValue} />
      <output>{value}</output>
    </>
  );
}

describe('a stepper', () => {
  it('takes what is typed after it was emptied as it stands', async () => {
    draw(<Pieces />);
    const field = screen.getByRole('textbox', { name: 'Quantité' });
    await userEvent.click(field);
    await userEvent.keyboard('{End}{Backspace}');
    expect(field).toHaveValue('');
    await userEvent.keyboard('3');
    expect(screen.getByRole('status')).toHaveTextContent(/^3$/);
  });

  it('shows its smallest value when it is left empty', async () => {
    draw(<Pieces />);
    const field = screen.getByRole('textbox', { name: 'Quantité' });
    await userEvent.clear(field);
    await userEvent.tab();
    expect(field).toHaveValue('1');
    expect(screen.getByRole('status')).toHaveTextContent(/^1$/);
  });
});
