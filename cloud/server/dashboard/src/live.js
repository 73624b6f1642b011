// Live changes over server-sent events.

const reconnectAfter = 3000;

// listen calls on[name](data) for every event and onState('live' | 'lost').
export function listen(on, onState) {
  let source;
  let timer;
  const open = () => {
    source = new EventSource('/api/v1/events');
    for (const name of ['ready', 'reset', 'job', 'footage', 'count', 'flight', 'upload']) {
      source.addEventListener(name, (e) => on[name]?.(JSON.parse(e.data)));
    }
    source.addEventListener('ready', () => onState('live'));
    source.onerror = () => {
      onState('lost');
      // The browser reconnects by itself, unless the server refused the connection.
      if (source.readyState === EventSource.CLOSED) timer = setTimeout(open, reconnectAfter);
    };
  };
  open();
  addEventListener('pagehide', () => { clearTimeout(timer); source.close(); });
  addEventListener('pageshow', (e) => { if (e.persisted) open(); });
}
