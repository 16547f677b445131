/** The one way to the host: JSON in, JSON out, every failure an `ApiError` with a code that can be translated. */

export interface FieldError {
  path: string;
  message: string;
}

interface ErrorBody {
  error?: {
    code?: string;
    message?: string;
    fields?: FieldError[];
    request_id?: string;
    details?: Record<string, unknown>;
  };
}

/** A request that failed. `status` is 0 when no answer came (`network_unreachable`, `network_timeout`). */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly fields: readonly FieldError[] = [],
    readonly requestId: string | null = null,
    readonly details: Record<string, unknown> = {},
  ) {
    super(message);
  }

  /** No answer came, or one that says "later": the same request may be sent again. */
  get passing(): boolean {
    return this.status === 0 || this.status === 502 || this.status === 503 || this.status === 504;
  }
}

export interface Request {
  method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  json?: unknown;
  body?: { content: Blob | string; type: string };
  signal?: AbortSignal | undefined;
  /** Milliseconds after which a request without an answer is given up. */
  timeout?: number;
}

const TIMEOUT = 30_000;
const signedOut = new Set<() => void>();
let inFlight = 0;

/** Calls `listener` whenever the host says that nobody is signed in any more. */
export function onSignedOut(listener: () => void): () => void {
  signedOut.add(listener);
  return () => signedOut.delete(listener);
}

/** How many requests wait for their answer now. */
export function requestsInFlight(): number {
  return inFlight;
}

/** Send a request and return the decoded answer; `undefined` for 204. Throws `ApiError`. */
export async function api<T>(path: string, request: Request = {}): Promise<T> {
  const gaveUp = new AbortController();
  const timer = setTimeout(() => gaveUp.abort(), request.timeout ?? TIMEOUT);
  const abort = (): void => gaveUp.abort();
  request.signal?.addEventListener('abort', abort, { once: true });
  if (request.signal?.aborted) abort();
  inFlight += 1;
  try {
    const response = await fetch(path, { ...init(request), signal: gaveUp.signal });
    return await decode<T>(path, response);
  } catch (error) {
    if (error instanceof ApiError) throw error;
    if (request.signal?.aborted) throw error;
    if (gaveUp.signal.aborted) throw new ApiError(0, 'network_timeout', `no answer from ${path}`);
    throw new ApiError(0, 'network_unreachable', `${path}: ${String(error)}`);
  } finally {
    inFlight -= 1;
    clearTimeout(timer);
    request.signal?.removeEventListener('abort', abort);
  }
}

function init({ method, json, body }: Request): RequestInit {
  const headers: Record<string, string> = { Accept: 'application/json' };
  if (json !== undefined) headers['Content-Type'] = 'application/json';
  if (body) headers['Content-Type'] = body.type;
  const content = json === undefined ? body?.content : JSON.stringify(json);
  return {
    method: method ?? (content === undefined ? 'GET' : 'POST'),
    headers,
    credentials: 'same-origin',
    ...(content === undefined ? {} : { body: content }),
  };
}

async function decode<T>(path: string, response: Response): Promise<T> {
  const text = await response.text();
  if (response.ok) {
    if (response.status === 204 || text === '') return undefined as T;
    try {
      return JSON.parse(text) as T;
    } catch {
      throw new ApiError(response.status, 'unreadable_answer', `${path} did not answer with JSON`);
    }
  }
  if (response.status === 401 && !path.startsWith('/api/auth/')) {
    for (const listener of signedOut) listener();
  }
  throw asError(path, response, text);
}

function asError(path: string, response: Response, text: string): ApiError {
  let body: ErrorBody = {};
  try {
    body = JSON.parse(text) as ErrorBody;
  } catch {
    // A proxy's HTML page: the status alone says what happened.
  }
  const { code, message, fields, request_id, details } = body.error ?? {};
  return new ApiError(
    response.status,
    code ?? `http_${response.status}`,
    message ?? `${path} answered ${response.status}`,
    fields ?? [],
    request_id ?? response.headers.get('X-Request-Id'),
    details ?? {},
  );
}
