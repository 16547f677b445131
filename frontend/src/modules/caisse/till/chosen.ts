/** The register that this device sells at. */
const STORED = 'recyclic.register';

export function chosenRegister(): string | null {
  try {
    return localStorage.getItem(STORED);
  } catch {
    return null;
  }
}

export function rememberRegister(register: string): void {
  try {
    localStorage.setItem(STORED, register);
  } catch {
    // Storage is off: the register is asked for again next time.
  }
}

export function forgetRegister(): void {
  try {
    localStorage.removeItem(STORED);
  } catch {
    // Nothing was kept.
  }
}
