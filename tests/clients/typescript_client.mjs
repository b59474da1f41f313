// Asks a Weaviate through its own TypeScript client and prints what the client made of the answers,
// as one JSON object. Run where node_modules is:
//
//   node typescript_client.mjs HTTP_PORT GRPC_PORT USER

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const require = createRequire(`${process.cwd()}/`);
const weaviate = require('weaviate-client').default;

const hits = (reply) =>
  reply.objects.map((o) => [o.properties.sku, o.properties.name, o.uuid, o.metadata?.score ?? null]);

async function ask(client) {
  const products = client.collections.get('Product');
  const { version } = JSON.parse(readFileSync('node_modules/weaviate-client/package.json', 'utf8'));
  const found = { version, ready: await client.isReady() };
  const returnMetadata = ['score'];
  found.bm25 = hits(await products.query.bm25('organic', { limit: 20, returnMetadata }));
  found.page = hits(await products.query.bm25('organic', { limit: 5, offset: 5, returnMetadata }));
  found.five = hits(await products.query.bm25('organic', { limit: 5, returnMetadata }));
  found.hybrid = hits(await products.query.hybrid('baby greens', { alpha: 0.5, limit: 20, returnMetadata }));
  found.near_text = hits(await products.query.nearText('apples', { limit: 10 }));
  found.iterated = [];
  for await (const object of products.iterator()) found.iterated.push(object.uuid);
  found.by_id = (await products.query.fetchObjectById(found.bm25[0][2])).properties;
  try {
    await client.collections.get('Nope').query.bm25('x', { limit: 1 });
  } catch (error) {
    found.error = error.message;
  }
  return found;
}

const [httpPort, grpcPort, user] = process.argv.slice(2);
const client = await weaviate.connectToCustom({
  httpHost: '127.0.0.1',
  httpPort: Number(httpPort),
  httpSecure: false,
  grpcHost: '127.0.0.1',
  grpcPort: Number(grpcPort),
  grpcSecure: false,
  headers: { 'X-User-ID': user },
});
try {
  console.log(JSON.stringify(await ask(client)));
} finally {
  await client.close();
}
