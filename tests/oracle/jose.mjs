// jose (npm) as jwe.py asks for it: a line of JSON for each line of JSON. The argument is the folder with node_modules.
import { createInterface } from "node:readline";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const require = createRequire(pathToFileURL(`${process.argv[2]}/`));
const jose = await import(pathToFileURL(require.resolve("jose")).href);

const algorithms = { EC: "ECDH-ES+A256KW", RSA: "RSA-OAEP-256" };
const pairs = {};
for (const [kty, algorithm] of Object.entries(algorithms)) {
  pairs[kty] = await jose.generateKeyPair(algorithm, { crv: "P-256", extractable: true });
}

async function answer(question) {
  if (question.keys) {
    const keys = {};
    for (const kty of Object.keys(pairs)) keys[kty] = await jose.exportJWK(pairs[kty].publicKey);
    return keys;
  }
  if (question.encrypt !== undefined) {
    const { alg, use, ...members } = question.jwk;
    const key = await jose.importJWK(members, question.header.alg);
    const content = jose.base64url.decode(question.encrypt);
    return { message: await new jose.CompactEncrypt(content).setProtectedHeader(question.header).encrypt(key) };
  }
  const { plaintext, protectedHeader } = await jose.compactDecrypt(question.decrypt, pairs[question.kty].privateKey);
  return { header: protectedHeader, content: jose.base64url.encode(plaintext) };
}

for await (const line of createInterface({ input: process.stdin })) {
  const reply = await answer(JSON.parse(line)).catch((error) => ({ error: String(error) }));
  process.stdout.write(`${JSON.stringify(reply)}\n`);
}
