//! Values whose length is not known.
