"""SQLAlchemy 2: reflection of what SQL made, and the ORM: relationships, RETURNING, upserts, savepoints, server defaults."""

import datetime
import decimal
import enum
import sys

from sqlalchemy import (
    CheckConstraint, DateTime, Enum, ForeignKey, Identity, Index, MetaData, Numeric, String, UniqueConstraint,
    create_engine, func, insert, inspect, select, text, update,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, insert as upsert
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship, selectinload

engine = create_engine(sys.argv[1].replace("postgres://", "postgresql+psycopg://"))

with engine.begin() as connection:
    connection.exec_driver_sql(
        """
        CREATE TABLE parent (id serial PRIMARY KEY, name varchar(40) NOT NULL UNIQUE, born date DEFAULT current_date);
        CREATE TABLE child (
            parent_id integer NOT NULL REFERENCES parent ON DELETE CASCADE,
            number integer NOT NULL,
            price numeric(10, 2) CHECK (price > 0),
            tags text[],
            PRIMARY KEY (parent_id, number));
        CREATE INDEX child_by_price ON child (price);
        COMMENT ON TABLE child IS 'of a parent';
        CREATE VIEW cheap AS SELECT * FROM child WHERE price < 1;
        """
    )

inspector = inspect(engine)
assert {"parent", "child"} <= set(inspector.get_table_names()), inspector.get_table_names()
assert inspector.get_view_names() == ["cheap"], inspector.get_view_names()
assert "numeric" in inspector.get_view_definition("cheap")
assert inspector.get_pk_constraint("child")["constrained_columns"] == ["parent_id", "number"]
(key,) = inspector.get_foreign_keys("child")
assert key["referred_table"] == "parent" and key["options"] == {"ondelete": "CASCADE"}, key
assert [index["name"] for index in inspector.get_indexes("child")] == ["child_by_price"]
assert [unique["column_names"] for unique in inspector.get_unique_constraints("parent")] == [["name"]]
assert len(inspector.get_check_constraints("child")) == 1
assert inspector.get_table_comment("child") == {"text": "of a parent"}
columns = {column["name"]: column for column in inspector.get_columns("child")}
assert isinstance(columns["price"]["type"], Numeric) and columns["price"]["type"].scale == 2, columns
assert isinstance(columns["tags"]["type"], ARRAY), columns
assert "nextval" in inspector.get_columns("parent")[0]["default"]
assert inspector.has_table("parent") and not inspector.has_table("nothing")
assert "os" in inspector.get_schema_names()

metadata = MetaData()
metadata.reflect(engine, views=True)
child = metadata.tables["child"]
with engine.begin() as connection:
    made = connection.execute(insert(metadata.tables["parent"]).values(name="reflected").returning(text("id"))).scalar_one()
    connection.execute(child.insert(), [{"parent_id": made, "number": n, "price": n, "tags": ["a"]} for n in (1, 2)])
    assert connection.execute(select(func.sum(child.c.price))).scalar_one() == 3


class Base(DeclarativeBase):
    pass


class Colour(enum.Enum):
    red = "red"
    blue = "blue"


class Owner(Base):
    __tablename__ = "owner"
    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    name: Mapped[str] = mapped_column(String(30), unique=True)
    colour: Mapped[Colour] = mapped_column(Enum(Colour, name="colour"))
    since: Mapped[datetime.datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    settings: Mapped[dict] = mapped_column(JSONB, default=dict)
    pets: Mapped[list["Pet"]] = relationship(back_populates="owner", cascade="all, delete-orphan")


class Pet(Base):
    __tablename__ = "pet"
    __table_args__ = (UniqueConstraint("owner_id", "name"), CheckConstraint("weight > 0"), Index("pet_name", "name"))
    id: Mapped[int] = mapped_column(primary_key=True)
    owner_id: Mapped[int] = mapped_column(ForeignKey("owner.id"))
    name: Mapped[str]
    weight: Mapped[decimal.Decimal] = mapped_column(Numeric(6, 2))
    owner: Mapped[Owner] = relationship(back_populates="pets")


Base.metadata.create_all(engine)
Base.metadata.create_all(engine)

with Session(engine) as session:
    ada = Owner(name="ada", colour=Colour.red, settings={"a": [1]}, pets=[
        Pet(name=f"pet {n}", weight=decimal.Decimal(n)) for n in range(1, 51)])
    session.add_all([ada, Owner(name="bob", colour=Colour.blue)])
    session.commit()
    assert ada.id and ada.since.tzinfo and all(pet.id for pet in ada.pets)

with Session(engine) as session:
    owners = session.scalars(select(Owner).options(selectinload(Owner.pets)).order_by(Owner.name)).all()
    assert [len(owner.pets) for owner in owners] == [50, 0]
    assert owners[0].settings == {"a": [1]} and owners[1].colour is Colour.blue
    assert session.scalar(select(Owner).where(Owner.settings["a"][0].as_integer() == 1)).name == "ada"
    heavy = session.execute(
        select(Owner.name, func.count(Pet.id)).join(Pet).where(Pet.weight >= 25).group_by(Owner.name)).all()
    assert heavy == [("ada", 26)], heavy
    session.execute(update(Pet).where(Pet.weight < 2).values(name="light"))
    with session.begin_nested() as savepoint:
        session.add(Owner(name="carl", colour=Colour.red))
        session.flush()
        savepoint.rollback()
    session.delete(owners[1])
    session.commit()
    assert session.scalars(select(Owner.name)).all() == ["ada"]
    statement = upsert(Owner).values(name="ada", colour=Colour.blue, settings={})
    statement = statement.on_conflict_do_update(index_elements=["name"], set_={"colour": statement.excluded.colour})
    session.execute(statement)
    session.commit()
    assert session.scalars(select(Owner.colour)).all() == [Colour.blue]

Base.metadata.drop_all(engine)
assert not inspect(engine).has_table("pet")
