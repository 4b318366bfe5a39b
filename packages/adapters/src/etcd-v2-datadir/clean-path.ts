/** Go's `path.Clean(path.Join("/", path))`, which etcd v2 puts every path through; `..` never leads above the root. */
export function cleanPath(path: string): string {
  if (!needsCleaning(path)) return path;
  const kept: string[] = [];
  for (const segment of path.split('/')) {
    if (segment === '' || segment === '.') continue;
    if (segment === '..') kept.pop();
    else kept.push(segment);
  }
  return `/${kept.join('/')}`;
}

function needsCleaning(path: string): boolean {
  return !path.startsWith('/') || path.includes('//') || path.includes('/.') || (path.endsWith('/') && path !== '/');
}
