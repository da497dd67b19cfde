//! The shell and its connection: questions of its own, and a node that restarts.

use super::Shell;
use super::screen::{Screen, output};
use crate::client::{Answer, ClientError};
use crate::render::complaint;

impl Shell {
    /// Whether a statement may be sent. A node that has restarted is connected to again; the first statement behind a transaction
    /// that was lost with it is not sent, since it may be part of it.
    pub(super) fn is_connected(&mut self) -> anyhow::Result<bool> {
        if !self.interactive {
            return Ok(true);
        }
        if !self.listen() {
            eprintln!("tuplix: the node has ended the connection; looking for it (Ctrl-C stops)");
            if !self.link.borrow_mut().restore(&self.interrupts) {
                eprintln!("tuplix: no node answers; the next statement looks again");
                return Ok(false);
            }
            eprintln!("tuplix: connected again, in a new session");
        }
        let lost = self.link.borrow_mut().take_lost_block();
        if lost {
            eprintln!("tuplix: the transaction is rolled back; this statement of it was not sent");
        }
        Ok(!lost)
    }

    /// A connection that broke while a statement ran.
    pub(super) fn lost(&mut self, error: ClientError) -> anyhow::Result<bool> {
        if !self.interactive {
            return Err(error.into());
        }
        eprintln!(
            "tuplix: {error}\ntuplix: the statement may be done or not; looking for the node (Ctrl-C stops)"
        );
        match self.link.borrow_mut().restore(&self.interrupts) {
            true => eprintln!("tuplix: connected again, in a new session"),
            false => eprintln!("tuplix: no node answers; the next statement looks again"),
        }
        Ok(false)
    }

    /// Prints what the node said since the last statement; false when it has ended the connection.
    pub(super) fn listen(&mut self) -> bool {
        let mut link = self.link.borrow_mut();
        let mut screen = Screen::new(self.style.render(), output(self.redirected.as_ref(), None));
        let alive = link.is_alive(&mut |answer| {
            screen.show(answer);
            Ok(())
        });
        // Notices that cannot be printed now could not be later.
        drop(screen.finish());
        alive
    }

    /// One of the shell's own questions about the catalogue.
    pub(super) fn questions(
        &mut self,
        sql: &str,
        parameters: &[Option<String>],
        each: &mut dyn FnMut(Answer),
    ) -> anyhow::Result<()> {
        if !self.is_connected()? {
            anyhow::bail!("there is no node to ask");
        }
        let mut error = None;
        let mut link = self.link.borrow_mut();
        let client = link.client()?;
        self.interrupts.runs(client.cancel_key().clone());
        let answered = client.query_with(sql, parameters, &mut |answer| {
            match answer {
                Answer::Error(said) => error = Some(complaint(&said, sql, 1)),
                answer => each(answer),
            }
            Ok(())
        });
        self.interrupts.done();
        answered?;
        match error {
            Some(error) => anyhow::bail!("{}", error.trim_end()),
            None => Ok(()),
        }
    }

    /// `\conninfo`
    pub(super) fn connection(&mut self) -> anyhow::Result<String> {
        let mut link = self.link.borrow_mut();
        let client = link.client()?;
        let encryption = client.encryption().unwrap_or_else(|| "no encryption".to_owned());
        Ok(format!(
            "Connected to {} as \"{}\", {encryption}, session {}, server {}.",
            client.address(),
            client.address().user().unwrap_or_default(),
            client.session(),
            client.parameter("server_version").unwrap_or("unknown")
        ))
    }
}
