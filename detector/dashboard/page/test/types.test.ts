import { readFileSync } from "node:fs";
import openapiTS, { astToString } from "openapi-typescript";
import { expect, test } from "vitest";

test("the types are those of the API's shapes; `npm run types` makes them anew", async () => {
  const made = await openapiTS(new URL("../shapes.openapi.json", import.meta.url), { rootTypes: true, rootTypesNoSchemaPrefix: true });
  const kept = readFileSync(new URL("../src/api/shapes.ts", import.meta.url), "utf8");
  expect(kept).toContain(astToString(made).trim());
}, 20_000);
