"""Asks a Weaviate through its own Python client and prints what the client made of the answers, as one JSON object.

  python_client.py HTTP_PORT GRPC_PORT USER
"""

import json
import sys

import weaviate
from weaviate.classes.init import AdditionalConfig, Timeout
from weaviate.classes.query import MetadataQuery


def hits(reply):
    return [[o.properties["sku"], o.properties["name"], str(o.uuid), o.metadata.score] for o in reply.objects]


def ask(client):
    products = client.collections.get("Product")
    found = {"version": weaviate.__version__, "ready": client.is_ready()}
    score = MetadataQuery(score=True)
    found["bm25"] = hits(products.query.bm25("organic", limit=20, return_metadata=score))
    found["page"] = hits(products.query.bm25("organic", limit=5, offset=5, return_metadata=score))
    found["five"] = hits(products.query.bm25("organic", limit=5, return_metadata=score))
    found["hybrid"] = hits(products.query.hybrid("baby greens", alpha=0.5, limit=20, return_metadata=score))
    found["near_text"] = hits(products.query.near_text("apples", limit=10))
    found["iterated"] = [str(o.uuid) for o in products.iterator()]
    first = found["bm25"][0]
    found["by_id"] = products.query.fetch_object_by_id(first[2]).properties
    try:
        client.collections.get("Nope").query.bm25("x", limit=1)
    except weaviate.exceptions.WeaviateQueryError as error:
        found["error"] = str(error)
    return found


def main():
    http_port, grpc_port, user = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    client = weaviate.connect_to_custom(
        http_host="127.0.0.1",
        http_port=http_port,
        http_secure=False,
        grpc_host="127.0.0.1",
        grpc_port=grpc_port,
        grpc_secure=False,
        headers={"X-User-ID": user},
        additional_config=AdditionalConfig(timeout=Timeout(init=10, query=20)),
    )
    try:
        print(json.dumps(ask(client)))
    finally:
        client.close()


main()
