import { defineConfig } from "vite";

// One page, no request beyond its own origin: everything is a file under /assets with a hash in its
// name, nothing is inlined, so that the server's strict Content-Security-Policy holds.
export default defineConfig({
  base: "/",
  build: {
    outDir: "../src/tomos/serve/static",
    emptyOutDir: true,
    target: "es2022",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
  server: {
    proxy: { "/api": { target: "http://127.0.0.1:8080", changeOrigin: true } },
  },
});
