/** Stands in for the package `zarrita`, see vite.config.ts: what it would do is not done here. */

const refuse = (): never => {
  throw new Error("Zarr is not read here");
};

export const FetchStore = refuse;
export const root = refuse;
export const open = refuse;
export const get = refuse;
export const slice = refuse;
