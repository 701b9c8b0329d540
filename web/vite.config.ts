import { fileURLToPath } from "node:url";

import { defineConfig } from "vite";

// One page, no request beyond its own origin: everything is a file under /assets with a hash in its
// name, nothing is inlined, so that the server's strict Content-Security-Policy holds.
export default defineConfig({
  base: "/",
  resolve: {
    // NiiVue can read Zarr stores over the network, with 1.4 MB of codecs; this page never does.
    alias: { zarrita: fileURLToPath(new URL("src/viewer/no_zarr.ts", import.meta.url)) },
  },
  build: {
    outDir: "../src/tomos/serve/static",
    emptyOutDir: true,
    target: "es2022",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    // What is bundled asks for its notices to go along.
    license: { fileName: "assets/licences.md" },
    chunkSizeWarningLimit: 1000, // kB: NiiVue, which comes only with a volume
  },
  server: {
    proxy: { "/api": { target: "http://127.0.0.1:8080", changeOrigin: true } },
  },
});
