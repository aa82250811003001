// The parts of @modelcontextprotocol/sdk that a client with a login needs. mcp_sdk_new.js has the same of its successor.
export { Client } from '@modelcontextprotocol/sdk/client/index.js'
export { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
export { UnauthorizedError } from '@modelcontextprotocol/sdk/client/auth.js'

// finish gives the issuer's response to the transport.
export const finish = (transport, response) => transport.finishAuth(response.get('code'))
