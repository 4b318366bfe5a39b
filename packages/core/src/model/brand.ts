/** A nominal type over a primitive: two ids that are both strings cannot be mixed up. */
declare const brand: unique symbol;
export type Brand<T, Name extends string> = T & { readonly [brand]: Name };
