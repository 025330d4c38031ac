//! The remoting protocol: frames, headers, codes and bodies.
