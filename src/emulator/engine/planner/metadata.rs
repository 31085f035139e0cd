//! Functions that look into the catalogue: ids and names, properties, memberships, permissions.

use sqlparser::ast::Expr;

use super::super::catalogue::security::{self, Securable};
use super::super::catalogue::tables::{self, QualifiedName, same_name};
use super::super::catalogue::{schema, views, visible};
use super::super::error::{SqlError, SqlResult};
use super::super::types::{SqlType, Value};
use super::{Planner, Scope, Typed, literal};

use SqlType as T;

const NAME: SqlType = T::NVarChar(128);

impl Planner<'_> {
    pub(super) fn metadata_call(
        &mut self,
        name: &str,
        args: &[&Expr],
        scope: &Scope<'_>,
    ) -> SqlResult<Option<Typed>> {
        let found = match (name, args) {
            (
                "SCHEMA_NAME"
                | "USER_NAME"
                | "OBJECT_NAME"
                | "SCHEMA_ID"
                | "USER_ID"
                | "DATABASE_PRINCIPAL_ID"
                | "OBJECT_SCHEMA_NAME"
                | "TYPE_NAME"
                | "TYPE_ID",
                [arg],
            ) => self.lookup(name, arg, scope)?,
            ("OBJECT_NAME" | "OBJECT_SCHEMA_NAME", [arg, database]) => {
                self.lookup_in(name, arg, database, scope)?
            }
            ("OBJECT_ID", [arg, rest @ ..]) if rest.len() < 2 => {
                self.object_id(arg, rest.first().copied(), scope)?
            }
            ("COL_NAME", [table, column]) => {
                let table = self.coerced(table, T::Int, scope)?;
                let column = self.coerced(column, T::Int, scope)?;
                self.of_column(&table, &format!("c.id={column}"), "c.name", NAME)?
            }
            ("COL_LENGTH", [table, column]) => {
                let table = self.object_id(table, None, scope)?.sql;
                let column = self.coerced(column, NAME, scope)?;
                let of = format!("c.name={column}");
                self.of_column(&table, &of, "t_type('length',c.type)", T::SmallInt)?
            }
            ("COLUMNPROPERTY", [table, column, property]) => {
                self.column_property(table, column, property, scope)?
            }
            ("OBJECTPROPERTY" | "OBJECTPROPERTYEX", [id, property]) => {
                self.object_property(name, id, property, scope)?
            }
            ("INDEXPROPERTY", [table, index, property]) => {
                self.index_property(table, index, property, scope)?
            }
            ("IS_MEMBER" | "IS_ROLEMEMBER", [role, rest @ ..]) if rest.len() < 2 => {
                self.membership(role, rest.first().copied(), scope)?
            }
            ("IS_SRVROLEMEMBER", [role, ..]) => self.server_role(role, scope)?,
            ("HAS_PERMS_BY_NAME", [_, _, _, ..]) if args.len() <= 5 => {
                self.has_permission(args, scope)?
            }
            _ => return Ok(None),
        };
        Ok(Some(found))
    }

    /// An argument's SQL, converted.
    fn coerced(&mut self, arg: &Expr, ty: SqlType, scope: &Scope<'_>) -> SqlResult<String> {
        let value = self.expr(arg, scope)?;
        Ok(self.coerce(value, ty)?.sql)
    }

    /// A property's name; these must be constants.
    fn property(&mut self, arg: &Expr, scope: &Scope<'_>, what: &str) -> SqlResult<String> {
        let name = self.constant_text(arg, scope, what)?;
        Ok(name.unwrap_or_default().trim().to_lowercase())
    }

    fn objects(&self) -> SqlResult<String> {
        visible::objects(self.state, &self.state.database.alias())
    }

    /// Ids to names and back, row by row.
    fn lookup(&mut self, name: &str, arg: &Expr, scope: &Scope<'_>) -> SqlResult<Typed> {
        let to_name = name.ends_with("_NAME");
        let value = self.coerced(arg, if to_name { T::Int } else { NAME }, scope)?;
        let alias = self.state.database.alias();
        let ty = if to_name { NAME } else { T::Int };
        let sql = match name {
            "TYPE_NAME" => format!("t_typename({value})"),
            "TYPE_ID" => format!("t_typeid({value})"),
            "OBJECT_NAME" => self.object_name(&value)?,
            "OBJECT_SCHEMA_NAME" => format!(
                "(SELECT s.name FROM {} o JOIN {alias}.\"~schemas\" s ON s.id=o.schema_id WHERE o.id={value})",
                self.objects()?
            ),
            _ => {
                let table = if name.starts_with("SCHEMA") {
                    visible::schemas(self.state, &alias)?
                } else {
                    visible::principals(self.state, &alias)?
                };
                let (from, to) = if to_name {
                    ("id", "name")
                } else {
                    ("name", "id")
                };
                format!("(SELECT {to} FROM {table} WHERE {from}={value})")
            }
        };
        Ok(Typed::new(sql, ty))
    }

    fn object_name(&self, id: &str) -> SqlResult<String> {
        let mut sql = format!(
            "coalesce((SELECT name FROM {} WHERE id={id})",
            self.objects()?
        );
        if self.state.has_temp {
            sql.push_str(&format!(
                ",(SELECT name FROM temp.\"~objects\" WHERE id={id})"
            ));
        }
        Ok(sql + ",NULL)")
    }

    /// OBJECT_NAME with a database: only the current one can be asked.
    fn lookup_in(
        &mut self,
        name: &str,
        arg: &Expr,
        database: &Expr,
        scope: &Scope<'_>,
    ) -> SqlResult<Typed> {
        let found = self.lookup(name, arg, scope)?;
        let database = self.coerced(database, T::Int, scope)?;
        let own = self.state.database.id;
        Ok(Typed::new(
            format!("(CASE WHEN {database}={own} THEN {} END)", found.sql),
            found.ty,
        ))
    }

    fn object_id(
        &mut self,
        arg: &Expr,
        kind: Option<&Expr>,
        scope: &Scope<'_>,
    ) -> SqlResult<Typed> {
        let kind = match kind {
            Some(kind) => match self.constant_text(kind, scope, "OBJECT_ID")? {
                Some(kind) => Some(kind.trim().to_uppercase()),
                None => return Ok(Typed::constant(Value::Null, T::Int)),
            },
            None => None,
        };
        let value = self.expr(arg, scope)?;
        let value = self.coerce(value, T::NVarChar(4000))?;
        match &value.constant {
            Some(Value::Text(text)) => {
                let id = QualifiedName::parse(text)
                    .map(|name| self.known_object(&name, kind.as_deref()))
                    .transpose()?
                    .flatten();
                Ok(Typed::constant(id.map_or(Value::Null, Value::Int), T::Int))
            }
            Some(_) => Ok(Typed::constant(Value::Null, T::Int)),
            None => self.object_id_of_rows(&value.sql, kind.as_deref()),
        }
    }

    /// OBJECT_ID of a name that is not known before the query runs.
    fn object_id_of_rows(&self, name: &str, kind: Option<&str>) -> SqlResult<Typed> {
        let alias = self.state.database.alias();
        let default = literal(&Value::Text(self.state.acting().default_schema.clone()));
        let kind = kind.map_or_else(String::new, |k| {
            format!(" AND o.kind={}", literal(&Value::Text(k.to_owned())))
        });
        let database = literal(&Value::Text(self.state.database.name.clone()));
        let sql = format!(
            "(SELECT o.id FROM {} o JOIN {alias}.\"~schemas\" s ON s.id=o.schema_id WHERE o.name=t_part({name},1) AND \
             (s.name=t_part({name},2) OR (t_part({name},2) IS NULL AND s.name IN ({default},'dbo'))) AND \
             ifnull(t_part({name},3),{database})={database} COLLATE NOCASE{kind} \
             ORDER BY s.name<>{default} LIMIT 1)",
            self.objects()?
        );
        Ok(Typed::new(sql, T::Int))
    }

    fn known_object(&self, name: &QualifiedName, kind: Option<&str>) -> SqlResult<Option<i64>> {
        let state = self.state;
        if let Some(id) = name
            .schema
            .as_deref()
            .and_then(|schema| views::object_id(schema, &name.name))
        {
            return Ok(kind.is_none_or(|k| k == "V").then_some(id));
        }
        let temp = name.is_temp();
        let own = name
            .database
            .as_ref()
            .is_none_or(|d| same_name(d, &state.database.name));
        if (temp && !state.has_temp) || (!temp && !own) {
            return Ok(None);
        }
        let alias = if temp {
            "temp".to_owned()
        } else {
            state.database.alias()
        };
        let default = if temp {
            "dbo"
        } else {
            &state.acting().default_schema
        };
        let wanted = name.schema.as_deref().unwrap_or(default);
        let find = |schema: &str| -> SqlResult<Option<i64>> {
            let found = tables::object(&state.conn, &alias, schema, &name.name)?;
            Ok(found
                .filter(|(_, own)| kind.is_none_or(|k| k == own.trim()))
                .map(|(id, _)| id))
        };
        let found = match find(wanted)? {
            None if name.schema.is_none() => find("dbo")?,
            other => other,
        };
        let Some(id) = found else { return Ok(None) };
        let objects = visible::objects(state, &alias)?;
        let seen: i64 = state.conn.query_row(
            &format!("SELECT count(*) FROM {objects} WHERE id=?1"),
            [id],
            |row| row.get(0),
        )?;
        Ok((seen > 0).then_some(id))
    }

    /// Something of the column of a table, both given as SQL.
    fn of_column(&self, table: &str, column: &str, what: &str, ty: SqlType) -> SqlResult<Typed> {
        let alias = self.state.database.alias();
        let one = |alias: &str, objects: &str| {
            format!(
                "(SELECT {what} FROM {alias}.\"~columns\" c JOIN {objects} o ON o.id=c.object_id \
                 WHERE c.object_id={table} AND {column})"
            )
        };
        let mut sql = one(&alias, &self.objects()?);
        if self.state.has_temp {
            schema::create_temp(&self.state.conn)?;
            sql = format!("coalesce({sql},{})", one("temp", "temp.\"~objects\""));
        }
        Ok(Typed::new(sql, ty))
    }

    fn column_property(
        &mut self,
        table: &Expr,
        column: &Expr,
        property: &Expr,
        scope: &Scope<'_>,
    ) -> SqlResult<Typed> {
        let property = self.property(property, scope, "COLUMNPROPERTY")?;
        let what = match property.as_str() {
            "allowsnull" => "c.nullable",
            "charmaxlen" => "t_type('characters',c.type)",
            "columnid" => "c.id",
            "isidentity" => "c.seed IS NOT NULL",
            "ordinal" => {
                "(SELECT count(*) FROM {d}.\"~columns\" b WHERE b.object_id=c.object_id AND b.id<=c.id)"
            }
            "precision" => {
                "ifnull(nullif(t_type('precision',c.type),0),t_type('characters',c.type))"
            }
            "scale" => {
                "CASE WHEN t_type('characters',c.type) IS NULL THEN t_type('scale',c.type) END"
            }
            "iscomputed"
            | "iscursortype"
            | "isdeterministic"
            | "isfulltextindexed"
            | "ishidden"
            | "isidnotforrepl"
            | "isindexable"
            | "isoutparam"
            | "isrowguidcol"
            | "issparse"
            | "iscolumnset"
            | "isxmlindexable"
            | "issystemverified"
            | "systemdataaccess"
            | "userdataaccess"
            | "generatedalwaystype" => {
                if matches!(
                    property.as_str(),
                    "isdeterministic"
                        | "issystemverified"
                        | "systemdataaccess"
                        | "userdataaccess"
                        | "isindexable"
                ) {
                    return Err(SqlError::unsupported(format!("COLUMNPROPERTY {property}")));
                }
                "0"
            }
            "fulltexttypecolumn" | "statisticalsemantics" | "usesansitrim" | "isprecise" => {
                return Err(SqlError::unsupported(format!("COLUMNPROPERTY {property}")));
            }
            _ => return Ok(Typed::constant(Value::Null, T::Int)),
        };
        let what = what.replace("{d}", &self.state.database.alias());
        let table = self.coerced(table, T::Int, scope)?;
        let column = self.coerced(column, NAME, scope)?;
        self.of_column(&table, &format!("c.name={column}"), &what, T::Int)
    }

    fn object_property(
        &mut self,
        function: &str,
        id: &Expr,
        property: &Expr,
        scope: &Scope<'_>,
    ) -> SqlResult<Typed> {
        let property = self.property(property, scope, function)?;
        let what = match property.as_str() {
            "istable" | "isusertable" => "o.kind='U'",
            "isview" => "o.kind='V'",
            "isprimarykey" => "o.kind='PK'",
            "isuniquecnst" => "o.kind='UQ'",
            "isforeignkey" => "o.kind='F'",
            "ischeckcnst" => "o.kind='C'",
            "isdefaultcnst" | "isdefault" => "o.kind='D'",
            "isconstraint" => "o.kind NOT IN ('U','V')",
            "ismsshipped" | "isprocedure" | "isscalarfunction" | "istablefunction"
            | "isinlinefunction" | "istrigger" | "issystemtable" | "isrule" | "isqueue"
            | "isextendedproc" | "isreplproc" => "0",
            "schemaid" => "o.schema_id",
            "ownerid" => {
                "coalesce(o.owner,(SELECT s.owner FROM {d}.\"~schemas\" s WHERE s.id=o.schema_id))"
            }
            "tablehasprimarykey" => {
                "CASE o.kind WHEN 'U' THEN EXISTS (SELECT 1 FROM {d}.\"~indexes\" i WHERE i.object_id=o.id AND i.kind='PK') END"
            }
            "tablehasuniquecnst" => {
                "CASE o.kind WHEN 'U' THEN EXISTS (SELECT 1 FROM {d}.\"~indexes\" i WHERE i.object_id=o.id AND i.kind='UQ') END"
            }
            "tablehasindex" => {
                "CASE o.kind WHEN 'U' THEN EXISTS (SELECT 1 FROM {d}.\"~indexes\" i WHERE i.object_id=o.id) END"
            }
            "tablehasclustindex" => {
                "CASE o.kind WHEN 'U' THEN EXISTS (SELECT 1 FROM {d}.\"~indexes\" i WHERE i.object_id=o.id AND i.id=1) END"
            }
            "tablehasidentity" => {
                "CASE o.kind WHEN 'U' THEN EXISTS (SELECT 1 FROM {d}.\"~columns\" c WHERE c.object_id=o.id AND c.seed IS NOT NULL) END"
            }
            "tablehasforeignkey" => {
                "CASE o.kind WHEN 'U' THEN EXISTS (SELECT 1 FROM {d}.\"~objects\" f WHERE f.parent=o.id AND f.kind='F') END"
            }
            other => return Err(SqlError::unsupported(format!("{function} {other}"))),
        };
        let what = what.replace("{d}", &self.state.database.alias());
        let id = self.coerced(id, T::Int, scope)?;
        Ok(Typed::new(
            format!("(SELECT {what} FROM {} o WHERE o.id={id})", self.objects()?),
            T::Int,
        ))
    }

    fn index_property(
        &mut self,
        table: &Expr,
        index: &Expr,
        property: &Expr,
        scope: &Scope<'_>,
    ) -> SqlResult<Typed> {
        let property = self.property(property, scope, "INDEXPROPERTY")?;
        let what = match property.as_str() {
            "indexid" => "i.id",
            "isclustered" => "i.id=1",
            "isunique" => "i.is_unique",
            "isdisabled"
            | "ishypothetical"
            | "ispadindex"
            | "isstatistics"
            | "isautostatistics"
            | "isfulltextkey"
            | "iscolumnstore"
            | "ispagelockdisallowed"
            | "isrowlockdisallowed"
            | "indexfillfactor" => "0",
            other => return Err(SqlError::unsupported(format!("INDEXPROPERTY {other}"))),
        };
        let alias = self.state.database.alias();
        let table = self.coerced(table, T::Int, scope)?;
        let index = self.coerced(index, NAME, scope)?;
        Ok(Typed::new(
            format!(
                "(SELECT {what} FROM {alias}.\"~indexes\" i JOIN {} o ON o.id=i.object_id \
                 WHERE i.object_id={table} AND i.name={index})",
                self.objects()?
            ),
            T::Int,
        ))
    }

    fn membership(
        &mut self,
        role: &Expr,
        who: Option<&Expr>,
        scope: &Scope<'_>,
    ) -> SqlResult<Typed> {
        let state = self.state;
        let alias = state.database.alias();
        let null = Typed::constant(Value::Null, T::Int);
        let role = self
            .constant_text(role, scope, "IS_ROLEMEMBER")?
            .unwrap_or_default();
        let Some(role) = security::id_by_name(&state.conn, &alias, &role)? else {
            return Ok(null);
        };
        let user = match who {
            None => state.acting().clone(),
            Some(who) => {
                let who = self
                    .constant_text(who, scope, "IS_ROLEMEMBER")?
                    .unwrap_or_default();
                match security::id_by_name(&state.conn, &alias, &who)? {
                    Some(id) => security::user_by_id(&state.conn, &alias, id)?,
                    None => return Ok(null),
                }
            }
        };
        let member = user.is_member(&state.conn, &alias, role)?;
        Ok(Typed::constant(Value::Int(member.into()), T::Int))
    }

    /// IS_SRVROLEMEMBER. The emulator has the server roles of a logical server: nobody is in one.
    fn server_role(&mut self, role: &Expr, scope: &Scope<'_>) -> SqlResult<Typed> {
        const ROLES: &[&str] = &[
            "##MS_DatabaseConnector##",
            "##MS_DatabaseManager##",
            "##MS_DefinitionReader##",
            "##MS_LoginManager##",
            "##MS_SecurityDefinitionReader##",
            "##MS_ServerStateManager##",
            "##MS_ServerStateReader##",
            "bulkadmin",
            "dbcreator",
            "diskadmin",
            "processadmin",
            "securityadmin",
            "serveradmin",
            "setupadmin",
            "sysadmin",
        ];
        let role = self
            .constant_text(role, scope, "IS_SRVROLEMEMBER")?
            .unwrap_or_default();
        let value = if same_name(&role, "public") {
            Value::Int(1)
        } else if ROLES.iter().any(|known| same_name(known, &role)) {
            Value::Int(0)
        } else {
            Value::Null
        };
        Ok(Typed::constant(value, T::Int))
    }

    fn has_permission(&mut self, args: &[&Expr], scope: &Scope<'_>) -> SqlResult<Typed> {
        let what = "HAS_PERMS_BY_NAME";
        let mut texts = Vec::new();
        for arg in args {
            texts.push(self.constant_text(arg, scope, what)?);
        }
        let text = |index: usize| texts.get(index).cloned().flatten();
        let null = Typed::constant(Value::Null, T::Int);
        let permission = text(2).unwrap_or_default().to_uppercase();
        // Without a class the server is asked, whose administrator alone has rights.
        let Some(class) = text(1) else {
            return Err(SqlError::unsupported(format!("{what} of the server")));
        };
        let Some(mut on) = self.securable(text(0).as_deref(), &class.to_uppercase())? else {
            return Ok(null);
        };
        if let Some(column) = text(3) {
            if !text(4).is_some_and(|class| same_name(&class, "COLUMN")) {
                return Ok(null);
            }
            match self.column_of(on, &column)? {
                Some(found) => on = found,
                None => return Ok(null),
            }
        }
        let state = self.state;
        let alias = state.database.alias();
        let class = on.class_and_id().0;
        if permission == "ANY" {
            let any = super::super::catalogue::permissions::ALL
                .iter()
                .filter(|p| p.is_for(class))
                .map(|p| state.acting().may(&state.conn, &alias, p.name, on))
                .collect::<SqlResult<Vec<_>>>()?;
            return Ok(Typed::constant(
                Value::Int(any.contains(&true).into()),
                T::Int,
            ));
        }
        let known = super::super::catalogue::permissions::find(&permission);
        if !known.is_some_and(|p| p.is_for(class)) {
            return Ok(null);
        }
        let may = state.acting().may(&state.conn, &alias, &permission, on)?;
        Ok(Typed::constant(Value::Int(may.into()), T::Int))
    }

    /// A column of a table or view.
    fn column_of(&self, on: Securable, column: &str) -> SqlResult<Option<Securable>> {
        let Securable::Object(id, schema) = on else {
            return Ok(None);
        };
        let alias = self.state.database.alias();
        let mut statement = self.state.conn.prepare_cached(&format!(
            "SELECT id FROM {alias}.\"~columns\" WHERE object_id = ?1 AND name = ?2"
        ))?;
        let mut rows = statement.query(rusqlite::params![id, column])?;
        Ok(match rows.next()? {
            Some(row) => Some(Securable::Column(id, schema, row.get(0)?)),
            None => None,
        })
    }

    /// A securable by its name and class, if there is one that the user may know of.
    pub(super) fn securable(
        &self,
        name: Option<&str>,
        class: &str,
    ) -> SqlResult<Option<Securable>> {
        let state = self.state;
        let alias = state.database.alias();
        let parsed = name.and_then(QualifiedName::parse);
        Ok(match class {
            "DATABASE" => match parsed {
                Some(name) if !same_name(&name.name, &state.database.name) => None,
                _ => Some(Securable::Database),
            },
            "SCHEMA" => match parsed {
                Some(name) => {
                    tables::schema_id(&state.conn, &alias, &name.name)?.map(Securable::Schema)
                }
                None => None,
            },
            "OBJECT" => parsed
                .and_then(|name| self.find_table(&name).ok())
                .map(|table| table.securable()),
            "USER" | "ROLE" => match parsed {
                Some(name) => {
                    security::id_by_name(&state.conn, &alias, &name.name)?.map(Securable::Principal)
                }
                None => None,
            },
            other => {
                return Err(SqlError::unsupported(format!(
                    "permissions on class {other}"
                )));
            }
        })
    }
}
