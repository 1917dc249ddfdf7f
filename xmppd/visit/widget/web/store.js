// What outlives a page. Browsers give a frame a storage for each site that it is embedded in, or none at all: then the
// conversation lasts as long as the page.

// keep is where the token is: for all pages of the shop, until the browser forgets it. pending is what has yet to be
// answered, for this tab alone, so that two tabs don't send the same; opened, whether the chat is to be open on the next page. visitor is who somebody was who comes back with another matter.
export function stores(account, env = globalThis) {
  const tab = (what) => slot(() => env.sessionStorage, `parley:${what}:${account}`);
  const site = (key) => slot(() => env.localStorage, key + account);
  return {keep: site('parley:'), visitor: site('parley:visitor:'), pending: tab('pending'), opened: tab('opened')};
}

function slot(open, key) {
  let storage = null, memory = null;
  try {
    storage = open();
    storage.setItem('parley:try', '1'); // some are there, but refuse
    storage.removeItem('parley:try');
  } catch {
    storage = null;
  }
  return {
    key,
    get() {
      try {
        return storage ? JSON.parse(storage.getItem(key)) : memory;
      } catch {
        return null;
      }
    },
    set(value) {
      memory = value;
      try {
        if (storage && value === null) storage.removeItem(key);
        else if (storage) storage.setItem(key, JSON.stringify(value));
      } catch {
        storage = null; // it is full: go on without
      }
    },
  };
}
