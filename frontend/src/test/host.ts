/** A stand-in for the host's HTTP API, request by request, for tests of components. */
import { HttpResponse, http, type JsonBodyType } from 'msw';
import { setupServer } from 'msw/node';

export const host = setupServer();

export interface Sent {
  method: string;
  path: string;
  body: unknown;
}

type Answer = JsonBodyType | ((sent: Sent) => JsonBodyType | Response);

/** Answer a request, as `'POST /api/auth/sign-in'`, with JSON; returns what was sent to it. */
export function answer(request: string, what: Answer, status = 200): Sent[] {
  const [method = 'GET', path = ''] = request.split(' ');
  const sent: Sent[] = [];
  const handler = http[method.toLowerCase() as 'get' | 'post'](path, async ({ request: got }) => {
    const text = await got.text();
    const { pathname, search } = new URL(got.url);
    const one = { method, path: pathname + search, body: text === '' ? null : JSON.parse(text) };
    sent.push(one);
    const body = typeof what === 'function' ? what(one) : what;
    if (body instanceof Response) return body;
    return status === 204 ? new HttpResponse(null, { status }) : HttpResponse.json(body, { status });
  });
  host.use(handler);
  return sent;
}

/** Answer with the API's error body. */
export function refuse(
  request: string,
  status: number,
  code: string,
  more: { fields?: { path: string; message: string }[]; details?: Record<string, unknown> } = {},
): Sent[] {
  return answer(
    request,
    { error: { code, message: `${code} (for developers)`, fields: [], request_id: 'r-1', ...more } },
    status,
  );
}

/** No answer comes. */
export function unreachable(request: string): void {
  const [method = 'GET', path = ''] = request.split(' ');
  host.use(http[method.toLowerCase() as 'get' | 'post'](path, () => HttpResponse.error()));
}
