export { Client, StreamableHTTPClientTransport, UnauthorizedError } from '@modelcontextprotocol/client'

export const finish = (transport, response) => transport.finishAuth(response) // it looks at iss and error itself
