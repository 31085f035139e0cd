//! Types that an older client does not have, as SQL Server presents them to it.
