import {
  type InputHTMLAttributes,
  type ReactNode,
  type Ref,
  type SelectHTMLAttributes,
  useId,
  useState,
} from 'react';
import { useT } from '../i18n';
import css from './Field.module.css';

interface Around {
  label: ReactNode;
  hint?: ReactNode;
  error?: string | undefined;
  optional?: boolean;
}

interface FrameProps extends Around {
  children: (ids: { id: string; 'aria-describedby'?: string; 'aria-invalid'?: true }) => ReactNode;
}

/** Label above, hint and error below, tied to the control for screen readers. */
function Frame({ label, hint, error, optional, children }: FrameProps) {
  const id = useId();
  const t = useT();
  const described = error ? `${id}-error` : hint ? `${id}-hint` : undefined;
  return (
    <div className={css.field}>
      <label htmlFor={id}>
        {label}
        {optional && <span className={css.optional}> ({t('common.optional')})</span>}
      </label>
      {children({
        id,
        ...(described ? { 'aria-describedby': described } : {}),
        ...(error ? { 'aria-invalid': true as const } : {}),
      })}
      {error ? (
        <p className={css.error} id={`${id}-error`}>
          {error}
        </p>
      ) : (
        hint && (
          <p className={css.hint} id={`${id}-hint`}>
            {hint}
          </p>
        )
      )}
    </div>
  );
}

type InputProps = Around &
  InputHTMLAttributes<HTMLInputElement> & { ref?: Ref<HTMLInputElement>; unit?: string };

/** A labelled text field; `unit` stands at its right. */
export function TextField({ label, hint, error, optional, unit, className, ...input }: InputProps) {
  return (
    <Frame label={label} hint={hint} error={error} optional={optional ?? false}>
      {(ids) => (
        <span className={css.box}>
          <input
            {...ids}
            {...input}
            className={`${css.input} ${unit ? css.withUnit : ''} ${className ?? ''}`}
          />
          {unit && (
            <span className={css.unit} aria-hidden="true">
              {unit}
            </span>
          )}
        </span>
      )}
    </Frame>
  );
}

/** An amount in euros as people type it; read it with `parseCents`. */
export function MoneyField(props: Omit<InputProps, 'unit' | 'type'>) {
  return <TextField inputMode="decimal" autoComplete="off" {...props} unit="€" />;
}

/** A weight in kilograms as people type it; read it with `parseGrams`. */
export function WeightField(props: Omit<InputProps, 'unit' | 'type'>) {
  return <TextField inputMode="decimal" autoComplete="off" {...props} unit="kg" />;
}

type SelectProps = Around & SelectHTMLAttributes<HTMLSelectElement> & { ref?: Ref<HTMLSelectElement> };

export function SelectField({ label, hint, error, optional, children, ...select }: SelectProps) {
  return (
    <Frame label={label} hint={hint} error={error} optional={optional ?? false}>
      {(ids) => (
        <select {...ids} {...select} className={css.input}>
          {children}
        </select>
      )}
    </Frame>
  );
}

interface ChoiceProps<V extends string> {
  legend: ReactNode;
  hideLegend?: boolean;
  name: string;
  value: V | null;
  options: readonly { value: V; label: ReactNode }[];
  onChange: (value: V) => void;
}

/** One of a few: radio buttons drawn as a row of large keys. */
export function Choice<V extends string>({
  legend,
  hideLegend,
  name,
  value,
  options,
  onChange,
}: ChoiceProps<V>) {
  return (
    <fieldset className={css.choice}>
      <legend className={hideLegend ? 'visually-hidden' : undefined}>{legend}</legend>
      <div className={css.keys}>
        {options.map((option) => (
          <label key={option.value} className={css.key}>
            <input
              type="radio"
              name={name}
              value={option.value}
              checked={value === option.value}
              onChange={() => onChange(option.value)}
            />
            <span>{option.label}</span>
          </label>
        ))}
      </div>
    </fieldset>
  );
}

interface StepperProps {
  label: string;
  value: number;
  min?: number;
  max?: number;
  onChange: (value: number) => void;
}

/** A small whole number with a large − and +. */
export function Stepper({ label, value, min = 1, max = 999, onChange }: StepperProps) {
  const t = useT();
  // While it is being typed the field may be empty: the next digit must not land behind a number put there for it.
  const [typed, setTyped] = useState<string | null>(null);
  const set = (next: number): void => onChange(Math.min(max, Math.max(min, next)));
  function type(text: string): void {
    const digits = text.replace(/\D/g, '');
    setTyped(digits === '' ? '' : null);
    set(Number(digits) || min);
  }
  return (
    <fieldset className={css.stepper} aria-label={label}>
      <button
        type="button"
        aria-label={t('common.less')}
        disabled={value <= min}
        onClick={() => set(value - 1)}
      >
        −
      </button>
      <input
        inputMode="numeric"
        aria-label={label}
        value={typed ?? value}
        onChange={(event) => type(event.target.value)}
        onFocus={(event) => event.target.select()}
        onBlur={() => setTyped(null)}
      />
      <button
        type="button"
        aria-label={t('common.add')}
        disabled={value >= max}
        onClick={() => set(value + 1)}
      >
        +
      </button>
    </fieldset>
  );
}
